FROM a:1
RUN echo $A
RUN ["echo", "$B"]
RUN --mount=type=cache,target=/x$C true
COPY <<EOF /x
$H $x
EOF
COPY --chmod=$M a $N
LABEL "a$L"=1
MAINTAINER $Q
