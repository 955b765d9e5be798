"""The only package that imports duckdb: typed reads and writes, our model in, our model out."""
