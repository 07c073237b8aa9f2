"""What a PromQL expression names: metrics and labels. Pure, and good for the expressions of this repository alone."""

import re


def metrics(expression: str) -> set[str]:
    """Metrics of encoders, of the operator, and of processes."""
    without_values = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"\b((?:encoder|encoderfleet|process)_\w+)\b", without_values))


def family(metric: str, families: set[str]) -> str:
    """The metric as its HELP names it: a histogram's series have suffixes."""
    base = re.sub(r"_(?:bucket|sum|count)$", "", metric)
    return metric if metric in families else base


def labels(expression: str) -> set[str]:
    """Labels that it chooses or groups by, less those that it makes itself."""
    chosen = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', expression)
    grouped = re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", expression)
    made = {"le", *re.findall(r'label_replace\(.*?, "(\w+)", "\$1"', expression, re.DOTALL)}
    return {*chosen, *(each.strip() for group in grouped for each in group.split(","))} - made


def in_legend(legend: str) -> set[str]:
    """Labels that name the series of a query."""
    return set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))


def chosen_values(expression: str, label: str) -> set[str]:
    """Values that it asks for, or leaves out, of a label."""
    found = re.findall(rf'\b{label}\s*(?:=~|!~|!=|=)\s*"([^"]*)"', expression)
    return {value for each in found for value in each.split("|")}
