FROM a:1 AS base
ENV A=1
ARG B=2
FROM base AS one
LABEL a=$A b=$B
FROM one
LABEL c=$A
