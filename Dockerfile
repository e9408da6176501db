FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/easel
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY cogs cogs
RUN /opt/easel/bin/pip install --no-cache-dir .

FROM python:3.13-slim
RUN useradd --system --home-dir /easel easel && mkdir -p /easel/data && chown -R easel /easel
COPY --from=build /opt/easel /opt/easel
ENV PATH=/opt/easel/bin:$PATH PYTHONUNBUFFERED=1
USER easel
WORKDIR /easel
VOLUME /easel/data
CMD ["easel", "run"]
