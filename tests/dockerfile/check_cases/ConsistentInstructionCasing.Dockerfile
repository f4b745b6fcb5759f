FROM a:1
run x
RUN y
Copy z /
