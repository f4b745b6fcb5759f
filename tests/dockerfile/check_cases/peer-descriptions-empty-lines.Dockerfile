# check=experimental=all

# one

# two
ARG x
# x is

# three
ARG y
# lone


ARG z
ARG q
FROM scratch
# c1
LABEL a=1
# c2
# more
ARG m
# m
# n is
ARG n
# n is
# o
ARG n

