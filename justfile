# The commands of this repository; CI runs the same ones.

# Fmt, clippy and the pure tests: at every commit.
quick:
    tests/run --quick

# Everything, real routers and a real control plane included. Needs root.
test *arguments:
    tests/run {{arguments}}

# Only what the compiler and clippy have to say.
lint:
    tests/run --only fmt
    tests/run --only clippy

# Measures, and writes the figures down.
bench *arguments:
    bench/run {{arguments}}

# The image, as an OCI archive: static program, no engine needed.
image output="target/loods.tar":
    image/build --output {{output}}
