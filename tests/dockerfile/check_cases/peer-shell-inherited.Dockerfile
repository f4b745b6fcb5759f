FROM scratch AS one
SHELL ["/x", "-c"]
CMD a b
FROM one
CMD a b
ENTRYPOINT foo
HEALTHCHECK CMD x y
