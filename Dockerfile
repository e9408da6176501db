# By digest, so that each build begins with the same files; .github/dependabot.yml renews it.
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/easel
# By themselves, so that a change of the code alone leaves this layer as it is.
COPY requirements.lock ./
RUN /opt/easel/bin/pip install --no-compile --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY cogs cogs
# Compiled once, here: nothing may be written there later. Hashes, since times do not last.
# The build backend is that of the lock, and not needed later.
RUN /opt/easel/bin/pip install --no-compile --no-deps --no-build-isolation . && \
    /opt/easel/bin/pip uninstall --yes hatchling pathspec pluggy tomlkit trove-classifiers && \
    /opt/easel/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/easel/lib

FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
LABEL org.opencontainers.image.title="Easel" \
      org.opencontainers.image.description="A self-hosted Discord bot that makes pictures." \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 easel && \
    useradd --no-log-init --uid 10001 --gid easel --home-dir /easel --shell /usr/sbin/nologin easel && \
    install -d -o easel -g easel -m 0700 /easel/data
COPY --from=build /opt/easel /opt/easel
ENV PATH=/opt/easel/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HTTP_HOST=127.0.0.1 HTTP_PORT=8080
USER 10001:10001
WORKDIR /easel
VOLUME /easel/data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['HTTP_PORT']), timeout=8); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["easel", "run"]
