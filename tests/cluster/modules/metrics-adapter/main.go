// Serves what a Prometheus knows as external metrics, for HorizontalPodAutoscalers of the tests.
//
// A metric's value is the highest of the series that have its name and match its selector. Where there are none there is
// no value. The namespace of who asks says nothing, as a pool's series carry that of the pool in a label.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/klog/v2"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider/defaults"
)

type prometheus struct {
	defaults.DefaultExternalMetricsProvider
	address string
}

func (p *prometheus) GetExternalMetric(ctx context.Context, _ string, selector labels.Selector, info provider.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	query, err := query(info.Metric, selector)
	if err != nil {
		return nil, err
	}
	values, err := p.ask(ctx, query)
	if err != nil {
		return nil, err
	}
	list := &external_metrics.ExternalMetricValueList{}
	for _, value := range values {
		quantity, err := resource.ParseQuantity(value)
		if err != nil {
			return nil, fmt.Errorf("%s is %s: %w", query, value, err)
		}
		list.Items = append(list.Items, external_metrics.ExternalMetricValue{
			MetricName: info.Metric,
			Timestamp:  metav1.Now(),
			Value:      quantity,
		})
	}
	return list, nil
}

func query(metric string, selector labels.Selector) (string, error) {
	requirements, _ := selector.Requirements()
	var matchers []string
	for _, each := range requirements {
		if each.Operator() != selection.Equals && each.Operator() != selection.In || each.Values().Len() != 1 {
			return "", fmt.Errorf("a selector may say what a label is, and nothing else: %s", selector)
		}
		matchers = append(matchers, fmt.Sprintf("%s=%q", each.Key(), each.Values().UnsortedList()[0]))
	}
	return fmt.Sprintf("max(%s{%s})", metric, strings.Join(matchers, ",")), nil
}

func (p *prometheus) ask(ctx context.Context, query string) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return nil, err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	var said struct {
		Error string `json:"error"`
		Data  struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(reply.Body).Decode(&said); err != nil {
		return nil, err
	}
	if said.Error != "" {
		return nil, fmt.Errorf("%s: %s", query, said.Error)
	}
	var values []string
	for _, sample := range said.Data.Result {
		values = append(values, fmt.Sprint(sample.Value[1]))
	}
	return values, nil
}

func main() {
	source := &prometheus{}
	adapter := &cmd.AdapterBase{Name: "metrics-adapter"}
	adapter.Flags().StringVar(&source.address, "prometheus", "", "URL of the Prometheus")
	if err := adapter.Flags().Parse(os.Args[1:]); err != nil {
		klog.Fatal(err)
	}
	adapter.WithExternalMetrics(source)
	if err := adapter.Run(server.SetupSignalContext()); err != nil {
		klog.Fatal(err)
	}
}
