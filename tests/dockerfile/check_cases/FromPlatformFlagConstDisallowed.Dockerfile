FROM --platform=linux/amd64 a:1 AS base
FROM --platform=linux/arm64 a:1 AS build-arm64
FROM --platform=$BUILDPLATFORM a:1
