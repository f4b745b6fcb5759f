FROM a:1
COPY . /app
RUN pip install --no-cache-dir -r /app/requirements.txt
FROM a:1
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
FROM a:1
COPY --from=0 . .
RUN npm ci && npm cache clean --force
FROM a:1
COPY . .
RUN make
