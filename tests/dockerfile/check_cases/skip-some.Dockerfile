# check=skip=MaintainerDeprecated,LatestBase;experimental=all
FROM alpine as x
MAINTAINER me
