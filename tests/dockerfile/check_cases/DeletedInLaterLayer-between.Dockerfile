FROM minirt/base
RUN echo secret > /password
RUN wc -c < /password
RUN rm /password
