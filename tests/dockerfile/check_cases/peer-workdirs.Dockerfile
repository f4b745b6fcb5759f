FROM scratch AS one
WORKDIR a
WORKDIR b
FROM one
WORKDIR c
FROM scratch
ARG D=rel
WORKDIR $D
WORKDIR /x
WORKDIR y
FROM scratch
WORKDIR c:/windows
FROM scratch
WORKDIR $NOPE/x
