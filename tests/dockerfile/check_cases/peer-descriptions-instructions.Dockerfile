# check=experimental=all
FROM scratch
# lone

ENV b=1

ARG z
RUN a \
# inner
 b
ARG q
# end
LABEL a=1 \
# in
  b=2
ARG e
