FROM a:1 AS scratch
FROM a:1 AS context
