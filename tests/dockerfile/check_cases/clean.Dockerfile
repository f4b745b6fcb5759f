# syntax=docker/dockerfile:1
ARG VERSION=3.20
FROM alpine:${VERSION} AS base
WORKDIR /app
RUN apk add --no-cache git
COPY src ./
EXPOSE 8080/tcp
USER nobody
ENTRYPOINT ["/app/run"]
