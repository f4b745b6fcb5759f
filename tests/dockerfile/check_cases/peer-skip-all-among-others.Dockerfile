# check=skip=all,JSONArgsRecommended
FROM scratch
CMD a
ENV a b
MAINTAINER x
