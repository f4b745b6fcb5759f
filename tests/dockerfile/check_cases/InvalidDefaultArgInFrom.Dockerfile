ARG TAG
ARG NAME
FROM busybox:${TAG}
FROM ${NAME}
FROM busybox:${TAG:-1}
