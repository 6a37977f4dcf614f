"""The log as data: Parquet files, and questions about them in SQL."""
