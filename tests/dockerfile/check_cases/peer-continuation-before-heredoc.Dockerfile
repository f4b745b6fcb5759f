FROM a:1
RUN <<X \

 cat
hello

X
COPY <<A <<B \

  /x/
a
A
b
B
