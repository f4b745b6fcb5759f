# check=skip=all
FROM alpine as x
MAINTAINER me
