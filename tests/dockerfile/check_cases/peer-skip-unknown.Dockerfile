# check=skip=NoSuchRule
FROM scratch
CMD a
