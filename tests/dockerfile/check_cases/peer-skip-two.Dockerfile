# check=skip=JSONArgsRecommended,UndefinedVar
FROM scratch
CMD a
LABEL x=$y
ENV a b
