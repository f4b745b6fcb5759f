FROM scratch
LABEL a=1 \
  # only a comment
  b=2
