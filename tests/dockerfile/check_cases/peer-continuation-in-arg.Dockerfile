ARG V \

  W=1
FROM scratch
