# bar This is the baz
ARG foo=1

# first line
# foo is described
ARG foo
# base is it
FROM a:1 AS base

# other

FROM a:1 AS free
# about both
ARG x y
