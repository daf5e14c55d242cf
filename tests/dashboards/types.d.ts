// What a dashboard of ours may be: Grafana's own types, each panel with the options of its kind, and no key beside them.

import type { AnnotationQuery, Dashboard, FieldConfig, Panel, RowPanel, VariableModel } from "@grafana/schema";
import type * as Bargauge from "@panel/bargauge";
import type * as Heatmap from "@panel/heatmap";
import type * as Stat from "@panel/stat";
import type * as StateTimeline from "@panel/statetimeline";
import type * as Table from "@panel/table";
import type * as Timeseries from "@panel/timeseries";
import type { PrometheusDataQuery } from "@query/prometheus";

// A type as it is in JSON, where the values of enums are plain strings.
type Plain<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends readonly (infer Element)[]
      ? Plain<Element>[]
      : T extends object
        ? { [Key in keyof T]: Plain<T[Key]> }
        : T;

// Options may be left out: Grafana fills in what a panel's kind has by default.
type Optional<T> = unknown extends T
  ? T
  : T extends readonly unknown[]
    ? T
    : T extends object
      ? { [Key in keyof T]?: Optional<T[Key]> }
      : T;

type Common = Omit<Plain<FieldConfig>, "custom">;

// An override sets what exists, to a value that it may have.
type Property<Custom> =
  | { [Key in keyof Common & string]-?: { id: Key; value: Common[Key] } }[keyof Common & string]
  | { [Key in keyof Custom & string]-?: { id: `custom.${Key}`; value: Custom[Key] } }[keyof Custom & string];

interface Override<Custom> {
  matcher: { id: "byName" | "byRegexp"; options: string };
  properties: Property<Custom>[];
}

type Kind<Type, Options, Custom> = Omit<Plain<Panel>, "type" | "options" | "fieldConfig" | "targets"> & {
  type: Type;
  options: Optional<Plain<Options>>;
  fieldConfig: {
    defaults: Common & { custom: Optional<Plain<Custom>> };
    overrides: Override<Optional<Plain<Custom>>>[];
  };
  targets: Plain<PrometheusDataQuery>[];
};

type AnyPanel =
  | (Omit<Plain<RowPanel>, "type" | "panels"> & { type: "row"; panels: never[] })
  | Kind<"bargauge", Bargauge.Options, Record<string, never>>
  | Kind<"heatmap", Heatmap.Options, Heatmap.FieldConfig>
  | Kind<"stat", Stat.Options, Record<string, never>>
  | Kind<"state-timeline", StateTimeline.Options, StateTimeline.FieldConfig>
  | Kind<"table", Table.Options, Table.FieldConfig>
  | Kind<"timeseries", Timeseries.Options, Timeseries.FieldConfig>;

// Prometheus' own settings of an annotation, which the schema leaves to the data source.
type Annotation = Omit<Plain<AnnotationQuery>, "target"> & {
  target?: Plain<PrometheusDataQuery> & { interval: string };
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
};

export type Checked = Omit<Plain<Dashboard>, "panels" | "annotations" | "templating"> & {
  panels: AnyPanel[];
  annotations: { list: Annotation[] };
  templating: { list: Plain<VariableModel>[] };
};
