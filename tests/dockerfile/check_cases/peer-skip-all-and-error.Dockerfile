# check=error=true;skip=all
FROM scratch
CMD a
