ARG GLOBAL=1
FROM a:1
ARG foo
ENV MYNAME=x
COPY $foo $PAHT /to/
COPY $MYNAM .
LABEL a=${foobar:-default} b='$quoted' c=$GLOBAL
RUN echo $shell
