FROM scratch
Label a=1
Env B=1
