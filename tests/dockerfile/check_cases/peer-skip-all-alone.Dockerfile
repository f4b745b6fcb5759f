# check=skip=all
FROM scratch
CMD a
