FROM a:1
WORKDIR /app
COPY big.tar.gz secrets/ /tmp/in/
RUN tar xf /tmp/in/big.tar.gz
RUN curl -fsSL -o tool.zip https://example.org/tool.zip
RUN unzip tool.zip && rm tool.zip
RUN rm -rf /tmp/in && rm -f /never/made
RUN touch /x/y && rm /x/y
