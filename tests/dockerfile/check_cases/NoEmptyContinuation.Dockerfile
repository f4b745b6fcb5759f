FROM a:1
RUN one \

  two \
  # a comment is no empty line
  three
