FROM a:1
ENV DEPS curl git "make"
LABEL x 1.0
ENV NEW=form
