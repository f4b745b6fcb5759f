FROM scratch
LABEL a=1 \

  b=2 \

  c=3
ENV x=1 \
# c

  y=2
