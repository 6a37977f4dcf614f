"""The few kinds of panels that the dashboards are made of, over Grafana's own builders."""

from __future__ import annotations

from string import ascii_uppercase
from typing import Final, TypeAlias

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType, DataSourceRef

PanelBuilder: TypeAlias = timeseries.Panel | stat.Panel
#: A PromQL expression, and what its series are called.
Query: TypeAlias = tuple[str, str]

#: The Prometheus that is chosen above the dashboard.
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
#: Of Grafana's grid, 24 wide.
WIDTH: Final = 8
HEIGHT: Final = 7
STAT_WIDTH: Final = 4
STAT_HEIGHT: Final = 4

#: Grafana's names of units.
SECONDS: Final = "s"
SHARE: Final = "percentunit"
EACH_SECOND: Final = "ops"
NUMBER: Final = "short"
BYTES: Final = "bytes"


def graph(
    title: str, *queries: Query, unit: str = NUMBER, about: str = "", width: int = WIDTH
) -> timeseries.Panel:
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .height(HEIGHT)
        .span(width)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for target in _targets(queries):
        panel = panel.with_target(target)
    return panel.description(about) if about else panel


def number(
    title: str, query: str, unit: str = NUMBER, about: str = "", width: int = STAT_WIDTH
) -> stat.Panel:
    """One number, large: of the time shown, or of now."""
    panel = (
        stat.Panel()
        .title(title)
        .datasource(SOURCE)
        .unit(unit)
        .height(STAT_HEIGHT)
        .span(width)
        .graph_mode(BigValueGraphMode.AREA)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )
    for target in _targets([(query, "")]):
        panel = panel.with_target(target)
    return panel.description(about) if about else panel


def rate(counter: str, *labels: str, legend: str = "", some: bool = False) -> Query:
    """Events a second, by labels. ``some``: only lines of what happens at all."""
    return _summed("rate", counter, labels, "$__rate_interval", legend, some)


def increase(counter: str, *labels: str, over: str = "1h", legend: str = "", some: bool = False) -> Query:
    """Events in the time before, by labels."""
    return _summed("increase", counter, labels, over, legend, some)


def _summed(
    function: str, counter: str, labels: tuple[str, ...], over: str, legend: str, some: bool
) -> Query:
    query = f"sum by ({', '.join(labels)}) ({function}({counter}[{over}]))"
    names = " ".join(f"{{{{{label}}}}}" for label in labels)
    return query + (" > 0" if some else ""), legend or names


def share_of(part: str, whole: str, window: str = "$__rate_interval") -> str:
    """How much of the counters ``whole`` are ``part``."""
    return f"sum(rate({part}[{window}])) / sum(rate({whole}[{window}]))"


def quantile(share: float, histogram: str, by: str = "") -> str:
    """A quantile of a histogram of which each replica has its own."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket[$__rate_interval])))"


def of_the_log(counter: str, *labels: str, legend: str = "", over: str = "1h") -> Query:
    """Events in the time before, of a counter of analytics: each replica counts all of them."""
    names = " ".join(f"{{{{{label}}}}}" for label in labels)
    return f"max by ({', '.join(labels)}) (increase({counter}[{over}]))", legend or names


def people_took(histogram: str) -> tuple[Query, ...]:
    """Two quantiles of how long people took, by queue, in the day before: they are few in an hour."""
    return tuple(
        (
            f"histogram_quantile({share}, max by (le, queue) (increase({histogram}_bucket[1d])))",
            f"{{{{queue}}}} p{share * 100:.0f}",
        )
        for share in (0.5, 0.9)
    )


def quantiles(histogram: str) -> tuple[Query, ...]:
    """The usual three."""
    return tuple((quantile(share, histogram), f"p{share * 100:.0f}") for share in (0.5, 0.95, 0.99))


def dashboard(
    name: str, title: str, about: str, rows: list[tuple[str, list[PanelBuilder]]]
) -> grafana.Dashboard:
    """A dashboard of rows, each with its panels from left to right."""
    made = (
        grafana.Dashboard(title)
        .uid(f"switchboard-{name}")
        .description(about)
        .tags(["switchboard"])
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .version(1)
        .with_variable(grafana.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .link(
            grafana.DashboardLink("Switchboard")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["switchboard"])
            .keep_time(True)
        )
    )
    for row, panels in rows:
        made = made.with_row(grafana.Row(row))
        for panel in panels:
            made = made.with_panel(panel)
    return made


def _targets(queries: tuple[Query, ...] | list[Query]) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter).datasource(SOURCE)
        for letter, (expression, legend) in zip(ascii_uppercase, queries, strict=False)
    ]
