// Charts drawn from the JSON block inside each figure; the table below the figure says the same.
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([BarChart, LineChart, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent, CanvasRenderer]);

const INK = "#27313a";
const FAINT = "#5f6368";
const GRIDLINE = "#e3e7ea";
const LOOKS = {
  main: { color: "#12505b", width: 2.4, type: "solid" },
  compare: { color: "#8a5a00", width: 1.8, type: "dashed" },
  reference: { color: "#6a3d9a", width: 1.6, type: "dotted" },
};

const ROOM_FOR_LABELS = 640;
const PARTIAL = { color: "#eef3f4", borderColor: "#12505b", borderWidth: 1.4, borderType: "dashed" };

function fontSize() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.8;
}

function decimals(value, digits) {
  return value === null || value === undefined
    ? "—"
    : value.toLocaleString("zh-CN", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function tooltip(model, size) {
  return {
    trigger: "axis",
    // Rich text is drawn on the canvas; an HTML box would need inline styles, which the page forbids.
    renderMode: "richText",
    confine: true,
    textStyle: { fontSize: size, color: INK },
    formatter: (items) => {
      const named = items.filter((item) => model.kind !== "waterfall" || item.seriesIndex === 1);
      const lines = named.map(
        (item) => `${item.seriesName}  ${decimals(valueOf(item), model.digits)} ${model.unit}`,
      );
      return [items[0].axisValueLabel, ...lines].join("\n");
    },
  };
}

function valueOf(item) {
  return Array.isArray(item.value) ? item.value[1] : item.value;
}

function legendHeight(model, width, size) {
  if (model.series.length < 2) return 14;
  const wanted = model.series.reduce((sum, series) => sum + 50 + series.name.length * size, 0);
  return 16 + Math.ceil(wanted / width) * size * 1.8;
}

function baseOption(model, size, width) {
  return {
    animation: false,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: size },
    aria: { enabled: false },
    grid: { left: 8, right: 14, top: legendHeight(model, width, size), bottom: 4, containLabel: true },
    legend: {
      show: model.series.length > 1,
      top: 0,
      left: 0,
      itemWidth: 34,
      itemStyle: { opacity: 0 },
      textStyle: { color: INK, fontSize: size },
    },
    tooltip: tooltip(model, size),
    yAxis: {
      type: "value",
      min: (range) => Math.min(0, range.min),
      axisLabel: { color: FAINT, fontSize: size },
      splitLine: { lineStyle: { color: GRIDLINE } },
    },
  };
}

function xAxis(model, size) {
  return {
    type: "category",
    data: model.labels,
    axisLabel: { color: FAINT, fontSize: size, interval: model.label_every ? everyNth(model) : "auto", hideOverlap: model.kind !== "waterfall", rotate: model.kind === "waterfall" && window.innerWidth < ROOM_FOR_LABELS ? 60 : 0 },
    axisTick: { show: false },
    axisLine: { lineStyle: { color: "#9aa3aa" } },
    boundaryGap: model.kind !== "lines",
  };
}

function everyNth(model) {
  return (index) => index % model.label_every === 0;
}

function lineSeries(series) {
  const look = LOOKS[series.look] || LOOKS.main;
  return {
    name: series.name,
    type: "line",
    data: series.values,
    symbol: "none",
    connectNulls: false,
    itemStyle: { color: look.color },
    lineStyle: look,
    areaStyle: series.look === "main" ? { color: "rgba(18, 80, 91, 0.10)" } : undefined,
  };
}

function barSeries(series) {
  return {
    name: series.name,
    type: "bar",
    data: series.values.map((value, index) => ({
      value,
      // Incomplete or estimated values are outlined, so that they can be told apart without colour.
      itemStyle: series.partial && series.partial[index] ? PARTIAL : undefined,
    })),
    barMaxWidth: 34,
    itemStyle: { color: (LOOKS[series.look] || LOOKS.main).color, borderRadius: [2, 2, 0, 0] },
  };
}

// A waterfall: every step stands on what the steps before it left, which `base` says.
function waterfallSeries(model, width) {
  const steps = model.series[0];
  const look = (index) => (steps.partial[index] ? PARTIAL : { color: LOOKS.main.color });
  return [
    { type: "bar", stack: "step", data: model.base, silent: true, itemStyle: { color: "transparent" }, barMaxWidth: 56 },
    {
      name: steps.name,
      type: "bar",
      stack: "step",
      barMaxWidth: 56,
      data: steps.values.map((value, index) => ({ value: value === null ? null : Math.abs(value), itemStyle: look(index) })),
      label: {
        show: width >= ROOM_FOR_LABELS,
        position: "top",
        fontSize: fontSize(),
        color: INK,
        formatter: (item) => decimals(steps.values[item.dataIndex], model.digits),
      },
    },
  ];
}

function seriesOf(model, width) {
  if (model.kind === "waterfall") return waterfallSeries(model, width);
  return model.series.map(model.kind === "bars" ? barSeries : lineSeries);
}

function draw(figure) {
  const model = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const box = figure.querySelector(".chart-canvas");
  const size = fontSize();
  box.hidden = false;
  const chart = init(box);
  chart.setOption({
    ...baseOption(model, size, box.clientWidth),
    xAxis: xAxis(model, size),
    series: seriesOf(model, box.clientWidth),
  });
  window.addEventListener("resize", () => chart.resize());
  window.addEventListener("beforeprint", () => chart.resize({ width: 640 }));
  window.addEventListener("afterprint", () => chart.resize({ width: "auto" }));
}

for (const figure of document.querySelectorAll("figure.chart")) draw(figure);
