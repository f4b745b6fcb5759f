from a:1
run x
RUN y
