FROM scratch as builder
FROM scratch AS ok
from scratch AS lower
