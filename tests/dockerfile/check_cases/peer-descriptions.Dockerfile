# check=experimental=all
# foo bar
ARG foo=1
# wrong
ARG bar
# base image
FROM scratch AS base
# base is good
FROM scratch AS base2
# base2 fine
FROM scratch AS base2

# X
ARG y

# y x

ARG z
# a b are
ARG a b
# nothing
FROM scratch
COPY tmp /x
COPY tmp/a b/ /x/
ADD tmp /
COPY --from=base tmp /
COPY . /
COPY t* /
