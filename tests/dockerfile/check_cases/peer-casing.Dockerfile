FROM scratch AS a
from scratch as B
From scratch As c
FROM scratch as d
label a=1
LABEL b=2
ONBUILD label a=1
onbuild LABEL c=1
