FROM scratch
ENV V=1 FOO=2
ARG foo=1
LABEL N=$N b=$FAR c=$FO0O d=$Fooo e=$FOOBAR
