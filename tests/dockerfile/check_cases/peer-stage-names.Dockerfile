FROM scratch AS scratch
FROM scratch AS context
FROM scratch AS x
FROM scratch AS X
FROM scratch AS x
FROM x AS y
