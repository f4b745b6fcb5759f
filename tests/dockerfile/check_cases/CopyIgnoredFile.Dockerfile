FROM a:1
COPY ./tmp/Dockerfile /
ADD ok tmp/x /y/
COPY --from=b:1 tmp/x /
