require 'net/http'

# A backend of hiera: `<app>::version` is the version that pipit advertises for this host's ring of the app. Other keys are left to the next level.
Puppet::Functions.create_function(:'pipit::advertised') do
  dispatch :advertised do
    param 'String[1]', :key
    param 'Struct[{ consul => String[1], token_file => String[1], role => String[1], ring => String[1] }]', :options
    param 'Puppet::LookupContext', :context
  end

  def advertised(key, options, context)
    app = key[/\A([a-z0-9][a-z0-9+.-]*)::version\z/, 1]
    return context.not_found if app.nil?

    url = URI("#{options['consul']}/v1/kv/pipit/#{app}/#{options['role']}/#{options['ring']}/version?raw")
    request = Net::HTTP::Get.new(url, 'X-Consul-Token' => File.read(options['token_file']).strip)
    answer = Net::HTTP.start(url.host, url.port, use_ssl: url.scheme == 'https', open_timeout: 5, read_timeout: 30) { |http| http.request(request) }
    return answer.body if answer.is_a?(Net::HTTPOK)
    return context.not_found if answer.is_a?(Net::HTTPNotFound)

    # Never a guess: without an answer the host keeps what it has.
    raise Puppet::Error, "Consul answers #{answer.code} to #{url}: #{answer.body}"
  end
end
