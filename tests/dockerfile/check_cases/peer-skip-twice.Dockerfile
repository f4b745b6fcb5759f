# check=skip=JSONArgsRecommended;skip=LegacyKeyValueFormat
FROM scratch
CMD a
ENV a b
MAINTAINER x
