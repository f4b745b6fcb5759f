FROM scratch
ENV a b c
LABEL x y
ENV MY_TOKEN=1 tokens=2 PUBLIC_KEY=3 APIKEY=4 key=5 My_Password_1=6
ARG GIT_AUTH_TOKEN AUTHOR=1 secret
ENV password hunter
