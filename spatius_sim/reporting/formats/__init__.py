"""The formats of a report: terminal, HTML, JSON, JUnit, Markdown, badge."""
