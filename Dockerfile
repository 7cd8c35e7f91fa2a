# The Python that the pins of constraints.txt are tested with.
FROM python:3.11-slim-bookworm AS base
# The image may run on another processor than it is built on: see docs/operations/running.md.
ENV DESCENT_KERNEL_CPU=portable


FROM base AS dependencies
# uv knows where the CPU build of torch lies, which the default index does not carry for x86-64.
# Another build: --build-arg TORCH_BACKEND=cu130. No internet: fill wheels/ with every wheel
# (uv's too) and build with --build-arg TORCH_BACKEND= --build-arg UV_OFFLINE=1 --build-arg PIP_NO_INDEX=1.
ARG UV_VERSION=0.13.9
ARG TORCH_BACKEND=cpu
ARG UV_DEFAULT_INDEX
ARG UV_OFFLINE
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
# The root may be read-only at run time, so bytecode is compiled here.
ENV UV_COMPILE_BYTECODE=1 UV_FIND_LINKS=/build UV_LINK_MODE=copy VIRTUAL_ENV=/opt/venv
WORKDIR /build
# wheel[s] is wheels/ where there is one; a plain checkout has none.
COPY constraints.txt wheel[s] ./
RUN pip install --no-cache-dir --find-links . "uv==${UV_VERSION}" && uv venv "${VIRTUAL_ENV}"
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install ${TORCH_BACKEND:+"--torch-backend=${TORCH_BACKEND}"} --constraint constraints.txt torch setuptools
COPY pyproject.toml ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --constraint constraints.txt --requirement pyproject.toml --extra server --extra scale
# A fifth of it is read by nothing here: headers, stubs, tests and their programs, what Arrow talks to
# other machines with, and the bytecode of what torch's compilers need. (torch does not start without
# its torch_shm_manager.)
RUN site=$(echo "${VIRTUAL_ENV}"/lib/python*/site-packages) \
    && rm -rf "${site}"/torch/include "${site}"/torch/share "${site}"/torch/test "${site}"/pyarrow/include \
    && rm -f "${site}"/pyarrow/*_s3* "${site}"/pyarrow/*_flight* \
    && find "${site}"/torch/bin -type f ! -name torch_shm_manager -delete \
    && find "${site}" \( -name tests -o -name '*.a' -o -name '*.pyi' \) -prune -exec rm -rf {} + \
    && find "${site}"/sympy "${site}"/networkx "${site}"/torch/_dynamo "${site}"/torch/_inductor \
        "${site}"/torch/testing -name __pycache__ -prune -exec rm -rf {} +


FROM dependencies AS package
COPY LICENSE ./
COPY service ./service
COPY docs ./docs
RUN uv pip install --no-deps --no-build-isolation --target /opt/descent . \
    && PYTHONPATH=/opt/descent "${VIRTUAL_ENV}"/bin/python -P -m service compile


FROM base
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin descent
ENV PATH=/opt/descent/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/descent \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Within a container every caller comes from outside, and `-p 8000:8000` publishes to the network. So it
# starts with keys (DESCENT_KEYS_FILE) alone, unless -e DESCENT_ALLOW_PUBLIC=1 says that something else lets in
# only whom it should, such as `-p 127.0.0.1:8000:8000`: this machine alone.
# Two layers: a change of the source ships the small one alone.
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=package /opt/descent /opt/descent
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
# http.client, since urllib would ask a proxy named in the environment.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=2); c.request('GET', '/livez'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["descent"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
