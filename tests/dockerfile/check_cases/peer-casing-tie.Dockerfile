FROM scratch
label a=1
