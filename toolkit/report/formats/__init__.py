"""The formats of the report. Each module here is one, and fulfils `toolkit.report.Format`."""
